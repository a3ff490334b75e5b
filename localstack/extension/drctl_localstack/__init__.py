"""LocalStack extension of drctl: the AWS behaviours that a failover depends on and that an emulator usually leaves out.

Reading order: plugin (what LocalStack loads), settings (what tests may change), then one pair of modules for each
service: the rules (rds_overlay and rds_events, asg_engine, records, health_rules, arc) and the operations that use them
(rds, autoscaling, route53, health_checks, arc_config and arc_cluster). Some DNS answers change without a call to Route
53's API: health_probe and s3_public implement what health checks observe, answers implements what the name servers
return, and arc_endpoints are the five endpoints of a cluster. No state depends on timers: each read computes from the
recorded start time what is true now, so changing a duration also affects operations in progress. Threads are used only
for real external effects: bridges and health checks.
"""
