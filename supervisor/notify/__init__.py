"""Telling people: programs and webhooks, each by a thread of its own."""
