"""What a start has used is given back, and what is needed again comes back."""

import subprocess
import sys

PROGRAM = '''
import re, ssl
from supervisor import memory

def resident() -> int:
    """Return the kB of libcrypto that are here and not to be written to."""
    mapped = re.split(r"^(?=[0-9a-f]+-)", open("/proc/self/smaps").read(), flags=re.M)
    mine = [each for each in mapped if "libcrypto" in each and each.split()[1].startswith("r-")]
    return sum(int(re.search(r"^Rss: +(\\d+)", each, re.M)[1]) for each in mine)

ssl.create_default_context()
before = resident()
memory.settle()
after = resident()
print(before, after, ssl.create_default_context().verify_mode.name, ssl.RAND_bytes(8) != ssl.RAND_bytes(8))
'''


def test_pages_of_libraries_that_only_a_start_has_needed_are_let_go_and_come_back() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout.split()
    before, after = map(int, told[:2])
    assert before > 1000
    assert after < before / 2
    assert told[2:] == ["CERT_REQUIRED", "True"]
