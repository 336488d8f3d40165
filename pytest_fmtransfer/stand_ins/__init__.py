"""Generated datasets and tiny backbones in the place of real ones, with differences between them that are planted."""
