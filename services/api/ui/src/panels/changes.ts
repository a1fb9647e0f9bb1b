/** What a form changed. */

/** The fields that differ. */
export function changesOf<T extends object>(before: T, after: T): Partial<T> {
  const differs = (name: keyof T) => JSON.stringify(before[name]) !== JSON.stringify(after[name]);
  const names = (Object.keys(after) as (keyof T)[]).filter(differs);
  return Object.fromEntries(names.map((name) => [name, after[name]])) as Partial<T>;
}
