"""The receiver: takes events over HTTP, checks each, and answers its verdict when it is durable in Kafka. Keeps nothing itself."""
