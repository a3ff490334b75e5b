"""LocalStack extension of drctl: the AWS behaviours a failover depends on and an emulator usually leaves out.

Reading order: plugin (what LocalStack loads), settings (what tests may change), then one pair for each service:
the rules (rds_overlay and rds_events, asg_engine, records, health_rules, arc) and the operations over them (rds,
autoscaling, route53, health_checks, arc_config and arc_cluster). Names move without Route 53's API: health makes the
checks look (health_probe, s3_public), answers says what name servers tell, arc_endpoints are a cluster's five doors.
Time is never kept by timers: each read works out from the recorded start what is true now, so changing a duration
also moves what is already under way. Only what really happens in the world is done by a thread: bridges, and health.
"""
