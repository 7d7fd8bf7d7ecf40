"""What the jobs of these tests do; written as a module into the folder that the real engine's jobs run in."""

CODE = """
import os, signal, sys, time
from pathlib import Path
from supervisor import Worker, job

def say(text):
    print(text, flush=True)

def sleeper():
    say("up")
    time.sleep(1000)

def done():
    pass

def three():
    sys.exit(3)

def boom():
    raise ValueError("no such thing")

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("up")
    time.sleep(1000)

class Clock(Worker):
    def start(self):
        say("start")
    def tick(self):
        say(f"tick {job.run_id}")
    def stop(self, reason):
        say(f"stop {reason}")

class Broken(Worker):
    def tick(self):
        raise ValueError("no such thing")
"""
