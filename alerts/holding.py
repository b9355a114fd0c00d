"""What silences and silent gateways held back is told once nothing holds it any more and it is still live.

Asked of what holds now, so that it does not matter whether a silence ended, was shortened, or was deleted.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from django.db import transaction

from alerts.dispatch import Decisions, Rules, decide, holder_of, ways_of, write
from alerts.models import HeldAlert, Message, Silence
from alerts.outbox import add_items, let_go, make_message
from alerts.subject import Subject, load_subjects

__all__ = ["release"]

#: A gateway that speaks again brings its devices back within moments; only those that stay silent are worth telling.
_GATEWAY_GRACE = timedelta(seconds=60)


@transaction.atomic
def release(now: datetime) -> int:
    """Tell what is held no longer; answers how many alerts that were. One process at a time (see outbox.alone)."""
    rows = {row.alert_id: row for row in HeldAlert.objects.all()}
    if not rows:
        return 0
    subjects = load_subjects(list(rows))
    let_go(alert for alert, subject in subjects.items() if not subject.live)
    live = [subject for subject in subjects.values() if subject.live]
    rules = Rules.now(live, now)
    decisions = Decisions()
    free = []
    for subject in live:
        holder = holder_of(rules, subject)
        if holder is None:
            free.append(subject)
        elif _moved(rows[subject.alert_id], holder.silence_id, holder.gateway_id):
            decide(decisions, subject, Message.Kind.OPENING.value, None, rules)
    from_gateways = _past_grace(
        [subject for subject in free if rows[subject.alert_id].gateway_id is not None], rows, now
    )
    from_silences = [subject for subject in free if rows[subject.alert_id].gateway_id is None]
    for subject in from_gateways:
        decide(decisions, subject, Message.Kind.OPENING.value, None, rules)
    _summarise(from_silences, rows, decisions, rules, now)
    write(decisions, now)
    return len(from_gateways) + len(from_silences)


def _moved(row: HeldAlert, silence_id: int | None, gateway_id: int | None) -> bool:
    """Whether another thing holds it now than did before, or its gateway fell silent again."""
    return (row.silence_id, row.gateway_id) != (silence_id, gateway_id) or row.free_since is not None


def _past_grace(subjects: list[Subject], rows: dict[int, HeldAlert], now: datetime) -> list[Subject]:
    """Those whose gateways have spoken again for long enough; the clocks of the others start."""
    started = [subject.alert_id for subject in subjects if rows[subject.alert_id].free_since is None]
    HeldAlert.objects.filter(pk__in=started).update(free_since=now)
    return [
        subject
        for subject in subjects
        if (since := rows[subject.alert_id].free_since) is not None and now - since >= _GATEWAY_GRACE
    ]


def _summarise(
    subjects: list[Subject], rows: dict[int, HeldAlert], decisions: Decisions, rules: Rules, now: datetime
) -> None:
    """One message a silence and channel that names all that is still open."""
    named: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for subject in subjects:
        for way in ways_of(decisions, subject, rules):
            key = (rows[subject.alert_id].reason, way.channel.channel_id, way.route.route_id)
            named[key].append(subject.alert_id)
    for (reason, channel, route), alerts in sorted(named.items()):
        message = make_message(Message.Kind.SUMMARY.value, channel, route, now, about={"about": reason})
        add_items(message, alerts)
    let_go(subject.alert_id for subject in subjects)
    silences = {rows[subject.alert_id].silence_id for subject in subjects}
    Silence.objects.filter(pk__in=[silence for silence in silences if silence]).update(summarised_until=now)
