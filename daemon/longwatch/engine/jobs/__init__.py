"""The scheduled jobs, one a module: each a coroutine of (desk, run) that answers with one readable line about what it did."""
