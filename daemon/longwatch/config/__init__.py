"""The one configuration file: its schema, its loader, its reload; imported module by module, to cost nothing."""
