/** Octets as the API writes them, and back. */

export type Octets = Uint8Array<ArrayBuffer>;

export function fromBase64(text: string): Octets {
  const binary = atob(text);
  const octets = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) octets[i] = binary.charCodeAt(i);
  return octets;
}

export function toBase64(octets: Uint8Array): string {
  const PIECE = 0x3000; // a multiple of 3, so that pieces join; far below the limit of arguments
  let text = "";
  for (let at = 0; at < octets.length; at += PIECE)
    text += btoa(String.fromCharCode(...octets.subarray(at, at + PIECE)));
  return text;
}

export function concat(pieces: readonly Uint8Array[]): Octets {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
