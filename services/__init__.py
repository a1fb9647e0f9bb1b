"""The four services; none imports another."""

import gc
import sys

# A service imports some thousand modules that live as long as it does. Collecting meanwhile finds
# nothing and takes a tenth of the start; `shared.service.run_service` turns it on again. Only where
# a service is started (`python -m`, `flowmate NAME`): tests and tools import parts and go on.
if sys.argv[0] == "-m" or sys.argv[0].startswith("flowmate "):
    gc.disable()
