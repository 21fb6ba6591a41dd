"""Market data and calendars: providers behind `factory`, `cache`, `validation`, `calendar`, and the demo's history."""
