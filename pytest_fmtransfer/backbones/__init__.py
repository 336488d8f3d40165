"""A BackboneSpec becomes a module that yields pooled features."""
