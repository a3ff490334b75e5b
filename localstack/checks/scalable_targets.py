"""Scalable targets of Application Auto Scaling."""

from checks.harness import EAST, MAIN, OTHER, RUN, WEST, Server, check, equal, refused

OF = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


@check
def limits(server: Server) -> None:
    """a new target needs both limits, an update keeps the other one, and accounts and regions are apart"""
    client = server.client("application-autoscaling", EAST, MAIN)
    one = OF | {"ResourceId": f"service/c/{RUN}"}
    refused("ValidationException", lambda: client.register_scalable_target(**one, MinCapacity=1))
    client.register_scalable_target(**one, MinCapacity=1, MaxCapacity=9)
    client.register_scalable_target(**one, MinCapacity=4)
    refused("ValidationException", lambda: client.register_scalable_target(**one, MaxCapacity=3))

    def found(of=client, ids=(one["ResourceId"],)) -> list:
        targets = of.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=list(ids))["ScalableTargets"]
        return [(t["MinCapacity"], t["MaxCapacity"]) for t in targets]

    equal(found(), [(4, 9)], "the limits")
    equal(found(ids=("service/c/other",)), [], "limits of another service")
    for region, account in ((WEST, MAIN), (EAST, OTHER)):
        equal(found(server.client("application-autoscaling", region, account)), [], "limits elsewhere")
