/** What the capture did not have of a stream, in the words that list and inspector share. */

export const MIDSTREAM = "midstream: it was there before the capture began";
export const SNAPLEN_CUT = "cut: packets were captured short, what they lack is missing";
