"""What a model learns from and is judged on: logs and tables in, rows with labels out."""
