"""What people and scrapers are shown of results: all of it read from the views."""
