/** Every key and every word of the filter, from the tables that they work by. */

import { COMMANDS, GROUPS } from "../../keys/registry";
import { Kbd } from "../../keys/Kbd";
import { prefs, usePrefs } from "../../view/prefs";
import { KEYS, type KeyHelp } from "../../view/filter";
import "./help.css";

export function HelpPanel() {
  const { keys } = usePrefs();
  return (
    <>
      <label className="panel-check">
        <input
          type="checkbox"
          data-first
          checked={keys}
          onChange={(event) => prefs.change({ keys: event.target.checked })}
        />
        single keys do something
        <span className="muted">
          · outside of inputs; <Kbd binding="Ctrl+k" /> and <Kbd binding="Escape" /> always do
        </span>
      </label>
      <div className="help-keys">
        {GROUPS.map((group) => (
          <section key={group} className="section">
            <h3>{group}</h3>
            <dl>
              {COMMANDS.filter((command) => command.group === group).map(
                ({ id, bindings, title }) => (
                  <div key={id}>
                    <dt>
                      {bindings.length > 0 ? (
                        bindings.map((binding) => <Kbd key={binding} binding={binding} />)
                      ) : (
                        <span className="muted">by name</span>
                      )}
                    </dt>
                    <dd>{title}</dd>
                  </div>
                ),
              )}
            </dl>
          </section>
        ))}
      </div>
      <FilterHelp />
    </>
  );
}

function FilterHelp() {
  return (
    <section className="section">
      <h3>The filter</h3>
      <p>
        Terms stand apart by spaces and must all hold. A word without a key looks into summary and
        first bytes. A value with spaces goes in double quotes, <code>\&quot;</code> and{" "}
        <code>\\</code> inside; <code>data:</code> takes <code>/a regex/</code> as well. Times are
        UTC; without a date they are of the day of the capture.
      </p>
      <table className="table help-filter">
        <thead>
          <tr>
            <th scope="col">key</th>
            <th scope="col">streams with</th>
            <th scope="col">such as</th>
            <th scope="col">values</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries<KeyHelp>(KEYS).map(([key, { title, example, values }]) => (
            <tr key={key}>
              <th scope="row" className="mono">
                {key}:
              </th>
              <td>{title}</td>
              <td className="mono">{example}</td>
              <td className="muted">{values.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="muted">
        The page&apos;s address holds all of the view: filter, stream, place, panel. Copy it to show
        somebody what you see.
      </p>
    </section>
  );
}
