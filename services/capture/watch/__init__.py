"""A drop folder: every capture that appears or grows there is read once.

doorbell   inotify rings when something changed; where it cannot, looking now and then does
listing    what lies in the folder at a moment
catalogue  which of that is known, has grown, was renamed, or is another capture by now
entry      one capture: where it is, how far it is read, what became of it
growing    its bytes, while somebody else may still write them
folder     the source of packets: whose turn it is, and when a capture is done
"""
