# Training at W2/A2
# gnuplot curves-1.gp                      writes curves-1.svg
# gnuplot -e "format='png'" curves-1.gp   writes curves-1.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,1252 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,626 font 'sans-serif,14'
}
set output 'curves-1.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
set multiplot
set lmargin at screen 0.12
set rmargin at screen 0.97
set key at screen 0.5, screen 0.1182108626198083 center top horizontal maxcols 2
set xrange [1:6]
set xtics 1
set ylabel 'test top-1 (%)'
set format x ''
set tmargin at screen 0.97
set bmargin at screen 0.5789654952076677
plot \
  'curves.csv' using (strcol('run') eq 'e361ca8832c1' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb 'black' dt 2 pt 4 ps 0.6 title 'full QAT', \
  'curves.csv' using (strcol('run') eq 'd3641bc61095' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb 'black' dt 2 pt 4 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '2a4b5184d1b9' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb 'black' dt 2 pt 4 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '9b50c5293eb1' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.6 title 'SpQAT λ = 0.05', \
  'curves.csv' using (strcol('run') eq 'e301c81c60f8' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '89306937fcf6' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '9df32826b2da' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#D55E00' dt 4 pt 5 ps 0.6 title 'SpQAT λ = 0.1', \
  'curves.csv' using (strcol('run') eq '658f39d1f6e5' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#D55E00' dt 4 pt 5 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq 'de90fa7f59ea' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#D55E00' dt 4 pt 5 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '956dc1cbcbc0' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#009E73' dt 5 pt 9 ps 0.6 title 'SpQAT λ = 0.2', \
  'curves.csv' using (strcol('run') eq '75b9040f4058' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#009E73' dt 5 pt 9 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq 'ba41124419c6' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#009E73' dt 5 pt 9 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '1002fbe01581' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#CC79A7' dt 3 pt 11 ps 0.6 title 'SpQAT linear', \
  'curves.csv' using (strcol('run') eq '6f138a1b2711' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#CC79A7' dt 3 pt 11 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '6e4a64ab6c7d' ? column('epoch') : NaN):(column('top1')) with linespoints lc rgb '#CC79A7' dt 3 pt 11 ps 0.6 notitle
set format x '%h'
unset key
set xlabel 'epoch'
set ylabel 'frozen weights (%)'
set yrange [0:100]
set tmargin at screen 0.5289654952076677
set bmargin at screen 0.2268370607028754
plot \
  'curves.csv' using (strcol('run') eq '9b50c5293eb1' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq 'e301c81c60f8' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '89306937fcf6' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '9df32826b2da' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#D55E00' dt 4 pt 5 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '658f39d1f6e5' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#D55E00' dt 4 pt 5 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq 'de90fa7f59ea' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#D55E00' dt 4 pt 5 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '956dc1cbcbc0' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#009E73' dt 5 pt 9 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '75b9040f4058' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#009E73' dt 5 pt 9 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq 'ba41124419c6' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#009E73' dt 5 pt 9 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '1002fbe01581' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#CC79A7' dt 3 pt 11 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '6f138a1b2711' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#CC79A7' dt 3 pt 11 ps 0.6 notitle, \
  'curves.csv' using (strcol('run') eq '6e4a64ab6c7d' ? column('epoch') : NaN):(column('frozen')) with linespoints lc rgb '#CC79A7' dt 3 pt 11 ps 0.6 notitle
unset multiplot
set output
