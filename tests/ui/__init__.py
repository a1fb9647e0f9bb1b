"""Tests of the browser UI. A package, so that its browser and its run are there for all of them."""
