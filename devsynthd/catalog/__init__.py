"""What is known of the models: the list and its age, how it is kept, and which model answers."""
