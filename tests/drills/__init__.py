"""Drills: whole pipelines on a real Kafka, small in the test suite, and as long as you like by command.

    python -m drills.million     a million records, one in a hundred of them poisoned
    python -m drills.crashes     workers and brokers that are killed at work
    python -m drills.outage      registry and KMS that are away, throttle, fail or are slow

All need ``PYTHONPATH=tests``, print what they counted, and end with code 1 if anything is lost,
doubled or wrong.
"""
