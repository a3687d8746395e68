"""Apache Kafka: one KRaft node, broker and controller in one process."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from services.java import java_command, write_properties
from services.ports import LOOPBACK, free_ports
from services.process import ServerProcess, StartFailed

CLUSTER = base64.urlsafe_b64encode(b"csfle-fast-tests").rstrip(b"=").decode()
REQUEST_SECONDS = 30.0


class KafkaServer(ServerProcess):
    """A broker on ports of its own, which it keeps; what is in its folder outlives the process.

    Attributes:
        bootstrap_servers: what clients are given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("kafka", folder)
        self._port, self._controller_port = free_ports(2)
        self.bootstrap_servers = f"{LOOPBACK}:{self._port}"

    def command(self) -> Sequence[str]:
        settings = self.folder / "server.properties"
        if not settings.exists():
            write_properties(settings, self._properties())
            self._format(settings)
        return java_command("kafka.Kafka", str(settings))

    def is_ready(self) -> bool:
        try:
            metadata = self._admin().list_topics(timeout=1)
        except KafkaException:
            return False
        # After a crash it answers before it may lead again.
        leaders = [part.leader for topic in metadata.topics.values() for part in topic.partitions.values()]
        return bool(metadata.brokers) and min(leaders, default=0) >= 0

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Make a topic and wait until it is there.

        Args:
            name: of the topic; each test takes names of its own.
            partitions: how many.
            config: settings of the topic, for instance ``cleanup.policy``.
        """
        admin = self._admin()  # kept until its futures are done
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        admin.create_topics([topic], operation_timeout=REQUEST_SECONDS)[name].result(REQUEST_SECONDS)

    def _admin(self) -> AdminClient:
        # Without a broker, the client would log twenty lines a second.
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def _properties(self) -> dict[str, object]:
        controller = f"{LOOPBACK}:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": self.folder / "data",
            # Tests write records with old timestamps, which would be deleted half a minute after the start.
            "log.retention.ms": -1,
            "num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # After a crash, the controller waits for the end of the old session first: 2 s, by default 9.
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
        }

    def _format(self, settings: Path) -> None:
        command = java_command(
            "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c", str(settings)
        )
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder, check=False
        )
        if done.returncode:
            settings.unlink()  # the next start begins anew
            raise StartFailed(f"kafka's storage could not be formatted:\n{done.stdout}")
