"""What an evaluation writes: tables, diagrams, one HTML page."""
