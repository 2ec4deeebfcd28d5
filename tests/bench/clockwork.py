"""Does the machine keep time? Sleeps from millisecond to millisecond, before everybody else, until its input ends; then
one JSON line: how many of them it was woken for late, which nobody on this machine can have caused. A machine that is a
guest is late whenever its host is busy, and no program on it is on time then."""

import gc
import json
import os
import select
import sys
import time

STEP_NS, LATE_NS = 1_000_000, 150_000


def main():
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_max(os.SCHED_RR)))
        first = True
    except PermissionError:  # it would be late because of others
        first = False
    moments = late = 0
    due = time.monotonic_ns()
    while not select.select([sys.stdin], [], [], 0)[0]:
        due += STEP_NS
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
        behind = time.monotonic_ns() - due
        moments += 1
        # Those that were slept through count as well.
        late += behind // STEP_NS + 1 if behind > LATE_NS else 0
        due += behind // STEP_NS * STEP_NS if behind > STEP_NS else 0
    print(json.dumps({"moments": moments, "late": late if first else 0}))


if __name__ == "__main__":
    main()
