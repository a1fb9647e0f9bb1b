"""The four services; none imports another."""

import gc

# A service imports some thousand modules that live as long as it does. Collecting meanwhile finds
# nothing and takes a tenth of the start; `shared.service.run_service` turns it on again.
gc.disable()
