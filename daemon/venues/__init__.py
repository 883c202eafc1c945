"""Where orders go: each venue turns orders into its exchange's words, and those back into reports."""
