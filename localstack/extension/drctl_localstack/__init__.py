"""LocalStack extension of drctl: the AWS behaviours a failover depends on and an emulator usually leaves out.

Reading order: plugin (what LocalStack loads), settings (what tests may change), then one pair for each service:
the rules (rds_overlay and rds_events, asg_engine, records) and the operations over them (rds, autoscaling, route53).
Time is never kept by timers: each read works out from the recorded start what is true now, so changing a duration
also moves what is already under way.
"""
