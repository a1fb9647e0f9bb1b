// What the page measures of itself. `window.__bench` has all of it.
(() => {
  const painted = () =>
    new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))));

  // The first row is on the screen.
  const first = new Promise((done) => {
    const look = async () => {
      if (document.querySelector("main.list .rows [role=row]:not([aria-busy=true])"))
        done(await painted());
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });

  // From the event of the click to a frame that has the conversation of that row.
  let clicked = 0;
  addEventListener("click", (event) => (clicked = event.timeStamp), { capture: true });
  const opened = (before) =>
    new Promise((done) => {
      const look = async () => {
        const inspector = document.querySelector(".inspector");
        const name = inspector?.getAttribute("aria-label");
        if (name && name !== before && inspector.querySelector(".turns .octets, .turns .gap"))
          done((await painted()) - clicked);
        else requestAnimationFrame(look);
      };
      look();
    });

  // Milliseconds between frames while something moves the list in each of them.
  const frames = (count, move) =>
    new Promise((done) => {
      const list = document.querySelector("main.list [role=grid]");
      const times = [];
      let last = 0;
      const step = (now) => {
        if (last !== 0) times.push(now - last);
        last = now;
        if (times.length >= count) return done(times);
        move(list, times.length);
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    });
  const wheel = (count) => frames(count, (list) => (list.scrollTop += 120));
  // as a hand on the bar: it rests for a moment at each place
  const drag = (count) =>
    frames(count, (list, i) => {
      if (i % 12 === 0) list.scrollTop = ((i * 7919) % count) / count * list.scrollHeight;
    });

  window.__bench = { first, opened, wheel, drag };
})();
