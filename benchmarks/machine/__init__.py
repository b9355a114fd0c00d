"""What a benchmark runs on: servers, database, the platform's processes, what they cost in memory."""
