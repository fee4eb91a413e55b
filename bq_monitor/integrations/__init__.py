"""What orchestrators and training pipelines call; importing it imports none of them."""
