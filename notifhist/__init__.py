"""notifhist: the history of notifications an alerting system sent, over two published APIs."""
