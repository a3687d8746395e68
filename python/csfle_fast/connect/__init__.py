"""Connectors: Confluent's connector settings, failure behaviour and dead letters around an Engine.

``SourceHook`` encrypts what a source is about to produce, ``SinkHook`` decrypts what a sink has
consumed; ``run_source``, ``run_sink`` and ``run_topic`` are whole pipelines over confluent-kafka.
"""

from csfle_fast.connect.dead_letters import CONTEXT_HEADERS, DeadLetter
from csfle_fast.connect.errors import DataException, PipelineError, RetriableError
from csfle_fast.connect.hook import HOOK_METRICS, HookPlan
from csfle_fast.connect.pipeline import PipelineReport
from csfle_fast.connect.records import SinkBatch, SinkRecord, SourceRecord
from csfle_fast.connect.results import SinkResult, SourceResult
from csfle_fast.connect.sink import SinkHook
from csfle_fast.connect.sink_pipeline import run_sink
from csfle_fast.connect.source import SourceHook
from csfle_fast.connect.source_pipeline import run_source
from csfle_fast.connect.topic_pipeline import run_topic

__all__ = [
    "CONTEXT_HEADERS",
    "HOOK_METRICS",
    "DataException",
    "DeadLetter",
    "HookPlan",
    "PipelineError",
    "PipelineReport",
    "RetriableError",
    "SinkBatch",
    "SinkHook",
    "SinkRecord",
    "SinkResult",
    "SourceHook",
    "SourceRecord",
    "SourceResult",
    "run_sink",
    "run_source",
    "run_topic",
]
