"""The native stack: real Apache Kafka and Valkey and all services as child processes of this machine. No Docker, no root."""
