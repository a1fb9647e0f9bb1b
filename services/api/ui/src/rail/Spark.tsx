/** Streams over time, as small as a word. */

const WIDTH = 40;
const HEIGHT = 12;

export function Spark({ values }: { values: readonly number[] }) {
  const highest = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, values.length);
  const bars = values.map((value, i) => {
    const height = value === 0 ? 0 : Math.max(1, (value / highest) * HEIGHT);
    const x = (i * step).toFixed(1);
    return `M${x} ${HEIGHT}v-${height.toFixed(1)}h${(step * 0.8).toFixed(1)}V${HEIGHT}z`;
  });
  return (
    <svg className="spark" width={WIDTH} height={HEIGHT} aria-hidden>
      <path d={bars.join("")} />
    </svg>
  );
}
