"""What browsers and programs see of the gateway: the JSON API, the status page, the metrics."""
