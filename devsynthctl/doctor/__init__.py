"""``devsynthctl doctor``: every link from the socket to an answer, tried, judged and explained."""
