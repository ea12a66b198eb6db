"""What a person reads of a model: the report and its Markdown."""
