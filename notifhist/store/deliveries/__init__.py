"""The delivery index: what was sent to whom, derived from the items in the transaction that changes these.

New deliveries stand in `delivery_recent`, a small table without indexes; once there are some hundred, they are moved
together into `delivery`, which is indexed, searched and counted (docs/adr/0024).
"""
