"""Every exception Longwatch raises on purpose, as one tree, each with the exit code a command ends with.

    LongwatchError            1   anything below, caught at the command line
    ├── UsageError           64   a command was asked for something it does not do
    ├── DataError            65   market data is missing, flawed or unreadable
    ├── LinkError            69   the gateway can't be reached, is silent, or refuses
    │   └── ProtocolError    76   bytes that are not the protocol's, or a row that can't be decoded
    ├── StrategyError        70   a strategy raised, ran too long, or returned what can't be traded
    ├── JournalError         74   the journal can't be read, written or locked
    └── ConfigError          78   a configuration file or variable is wrong

The numbers are those of BSD's sysexits.h, which systemd shows by name.
"""

from __future__ import annotations


class LongwatchError(Exception):
    """Raised when Longwatch can't go on with what it was asked; the text says what, where and what to do."""

    exit_code = 1


class UsageError(LongwatchError):
    """Raised when a command is asked for something it does not do."""

    exit_code = 64


class DataError(LongwatchError):
    """Raised when market data is missing, flawed or unreadable."""

    exit_code = 65


class LinkError(LongwatchError):
    """Raised when the gateway can't be reached, stays silent past a deadline, or refuses us."""

    exit_code = 69


class ProtocolError(LinkError):
    """Raised when bytes are not the protocol's, or a message can't be decoded."""

    exit_code = 76


class StrategyError(LongwatchError):
    """Raised when a strategy raises, runs past its deadline, or returns what can't be traded."""

    exit_code = 70


class JournalError(LongwatchError):
    """Raised when the journal can't be read, written or locked."""

    exit_code = 74


class ConfigError(LongwatchError):
    """Raised when a configuration file or variable is wrong."""

    exit_code = 78
