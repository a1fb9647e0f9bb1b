"""The capture service's compiled loops: walking capture files, running filters, dumping packets."""
