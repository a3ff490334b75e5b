"""What LocalStack loads: the providers and the start hook. Imports are local, so that start-up stays fast."""

from localstack import config
from localstack.runtime import hooks
from localstack.services.plugins import Service, aws_provider


@hooks.on_infra_start()
def on_infra_start() -> None:
    from localstack.aws import handlers
    from localstack.services.edge import ROUTER
    from localstack.utils.aws import aws_stack

    from drctl_localstack import arc_endpoints, control, traffic

    # Set here, not by an environment variable, so that the corrections cannot be left out by accident.
    for service in ("route53", "cloudwatch", "s3"):
        config.SERVICE_PROVIDER_CONFIG.set_provider(service, "drctl")
    _read_fractions_of_a_second()
    # Otherwise S3 resolves a public name once, but this must start without any network.
    aws_stack.CACHE_S3_HOSTNAME_DNS_STATUS = False
    handlers.serve_custom_service_request_handlers.append(arc_endpoints.enter)
    handlers.serve_custom_service_request_handlers.append(traffic.before)
    handlers.run_custom_response_handlers.append(traffic.after)
    handlers.run_custom_response_handlers.append(arc_endpoints.leave)
    for path in ("/_drctl", "/_drctl/<path:what>"):
        ROUTER.add(path, endpoint=control.serve, methods=["GET", "POST", "DELETE"])


def _read_fractions_of_a_second() -> None:
    """LocalStack's CBOR parser, used by newer SDKs for CloudWatch, accepts only whole seconds; otherwise it answers
    500.
    """
    from datetime import UTC, datetime

    from localstack.aws.protocol.parser import RequestParser

    def read(text: str) -> datetime:
        return datetime.fromtimestamp(float(text), UTC)

    RequestParser._timestamp_unixtimestamp = staticmethod(read)


@aws_provider()
def rds() -> Service:
    from drctl_localstack import rds as operations

    return _service("rds", operations.table())


@aws_provider()
def autoscaling() -> Service:
    from drctl_localstack import autoscaling as operations

    return _service("autoscaling", operations.table())


@aws_provider(api="route53", name="drctl")
def route53() -> Service:
    from localstack.services.moto import MotoFallbackDispatcher
    from localstack.services.route53.provider import Route53Provider

    from drctl_localstack import route53 as operations

    provider = Route53Provider()
    return _service("route53", operations.table(MotoFallbackDispatcher(provider)), provider)


@aws_provider(api="route53-recovery-control-config")
def arc_config() -> Service:
    from drctl_localstack import arc_config as operations

    return _service("route53-recovery-control-config", operations.table())


@aws_provider(api="route53-recovery-cluster")
def arc_cluster() -> Service:
    from drctl_localstack import arc_cluster as operations

    return _service("route53-recovery-cluster", operations.table())


@aws_provider(api="application-autoscaling")
def scalable_targets() -> Service:
    from drctl_localstack import scalable_targets as operations

    return _service("application-autoscaling", operations.table())


@aws_provider(api="cloudwatch", name="drctl")
def cloudwatch() -> Service:
    from localstack.aws.skeleton import create_dispatch_table
    from localstack.services.cloudwatch.provider_v2 import CloudwatchProvider

    from drctl_localstack import cloudwatch as operations

    provider = CloudwatchProvider()
    return _service("cloudwatch", operations.table(create_dispatch_table(provider)), provider)


@aws_provider(api="s3", name="drctl")
def s3() -> Service:
    import tempfile

    from localstack.aws.skeleton import create_dispatch_table
    from localstack.services.s3 import provider as module

    from drctl_localstack import s3 as operations

    # LocalStack has one fixed directory for all; two servers on one machine must not share it.
    module.DEFAULT_S3_TMP_DIR = f"{tempfile.gettempdir()}/s3"
    provider = module.S3Provider()
    operations.remember(provider)
    return _service("s3", operations.table(create_dispatch_table(provider)), provider)


def _service(name: str, table: dict, lifecycle_hook=None) -> Service:
    from localstack.aws.skeleton import Skeleton
    from localstack.aws.spec import load_service

    return Service(name=name, skeleton=Skeleton(load_service(name), table), lifecycle_hook=lifecycle_hook)
