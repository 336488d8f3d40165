"""Features and labels become scores."""
