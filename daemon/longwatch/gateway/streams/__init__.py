"""What is told again and again to whoever once asked: quotes, bars, positions, account values, gains."""
