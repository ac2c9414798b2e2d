"""The embedded engine with a real language model, and its process with stand-ins for llama.cpp."""
