"""The function's archive as it is deployed."""
