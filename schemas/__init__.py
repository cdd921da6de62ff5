"""The wire contract: the documents and query strings of requests and answers, each member written once."""
