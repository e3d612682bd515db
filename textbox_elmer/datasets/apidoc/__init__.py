"""The dataset that is made here, out of the descriptions of web services in botocore."""
