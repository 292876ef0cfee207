# Seconds a step against frozen share
# gnuplot seconds.gp                      writes seconds.svg
# gnuplot -e "format='png'" seconds.gp   writes seconds.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,1144 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,572 font 'sans-serif,14'
}
set output 'seconds.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
set xrange [0:100]
set yrange [0:*]
set xlabel 'frozen weights, mean over the epoch (%)'
set ylabel 'time a training step (ms)'
set key above maxcols 2
plot \
  'steps.csv' using (strcol('bits') eq 'W4/A4' ? column('frozen') : NaN):(column('step')) with points lc rgb '#0072B2' pt 7 ps 0.8 title 'W4/A4 step', \
  115.81086476067048 - x / 100 * 41.866169133205595 with lines lc rgb '#0072B2' dt 1 title 'W4/A4 step, ideal', \
  'steps.csv' using (strcol('bits') eq 'W4/A4' ? column('frozen') : NaN):(column('weight_gradient')) with points lc rgb '#0072B2' pt 6 ps 0.8 title 'W4/A4 weight gradient', \
  41.866169133205595 - x / 100 * 41.866169133205595 with lines lc rgb '#0072B2' dt 2 title 'W4/A4 weight gradient, ideal', \
  'steps.csv' using (strcol('bits') eq 'W3/A3' ? column('frozen') : NaN):(column('step')) with points lc rgb '#D55E00' pt 5 ps 0.8 title 'W3/A3 step', \
  118.70518194306852 - x / 100 * 42.32365169621415 with lines lc rgb '#D55E00' dt 1 title 'W3/A3 step, ideal', \
  'steps.csv' using (strcol('bits') eq 'W3/A3' ? column('frozen') : NaN):(column('weight_gradient')) with points lc rgb '#D55E00' pt 4 ps 0.8 title 'W3/A3 weight gradient', \
  42.32365169621415 - x / 100 * 42.32365169621415 with lines lc rgb '#D55E00' dt 2 title 'W3/A3 weight gradient, ideal', \
  'steps.csv' using (strcol('bits') eq 'W2/A2' ? column('frozen') : NaN):(column('step')) with points lc rgb '#009E73' pt 9 ps 0.8 title 'W2/A2 step', \
  113.71793228494181 - x / 100 * 41.23521805428273 with lines lc rgb '#009E73' dt 1 title 'W2/A2 step, ideal', \
  'steps.csv' using (strcol('bits') eq 'W2/A2' ? column('frozen') : NaN):(column('weight_gradient')) with points lc rgb '#009E73' pt 8 ps 0.8 title 'W2/A2 weight gradient', \
  41.23521805428273 - x / 100 * 41.23521805428273 with lines lc rgb '#009E73' dt 2 title 'W2/A2 weight gradient, ideal'
set output
