// Keeps the live part of a page up to date. Without this script a page shows what there was when it was loaded.
(() => {
  const live = document.getElementById('live');
  const connection = document.getElementById('connection');
  if (!live || !live.dataset.events || !window.EventSource) return;
  const source = new EventSource(live.dataset.events);
  let lost = 0;
  source.addEventListener('view', (event) => {
    const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    live.innerHTML = event.data;
    if (focused) {
      const again = [...live.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused);
      if (again) again.focus({ preventScroll: true });
    }
  });
  source.addEventListener('bye', () => { source.close(); location.reload(); });
  source.addEventListener('open', () => { lost = 0; connection.textContent = ''; });
  source.addEventListener('error', () => {
    lost += 1;
    // A stream that has ended in order begins again at once.
    if (lost > 1) connection.textContent = 'The connection to the balancer is lost. What you see is old.';
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 15000);
  });
})();
